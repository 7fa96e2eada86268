// obscenity (npm) in a process of its own: the same protocol as screen_contestants.py.
const { performance } = require("node:perf_hooks");
const fs = require("node:fs");
const cpu = () => (process.cpuUsage().user + process.cpuUsage().system) / 1e6;
const peak = () => process.resourceUsage().maxRSS / 1024;
const [, , modules, sample, budgetText] = process.argv;
const budget = Number(budgetText);
const before = peak(), began = cpu(), wall = performance.now();
const { RegExpMatcher, englishDataset, englishRecommendedTransformers } = require(modules + "/obscenity");
const matcher = new RegExpMatcher({ ...englishDataset.build(), ...englishRecommendedTransformers });
matcher.hasMatch("a lighthouse in a storm");
const start_s = cpu() - began, start_wall_s = (performance.now() - wall) / 1e3, loaded = peak() - before;
const sets = JSON.parse(fs.readFileSync(sample, "utf8"));
const by_set = {};
let speedSet = [];
for (const name of Object.keys(sets).filter((key) => key.startsWith("speed"))) {
  let count = 0;
  const from = cpu();
  for (const prompt of sets[name]) {
    matcher.hasMatch(prompt);
    if (++count % 64 === 0 && cpu() - from > budget / 2) break;
  }
  by_set[name] = count / Math.max(1e-9, cpu() - from);
  speedSet = speedSet.concat(sets[name].slice(0, 300));
  delete sets[name];
}
const rates = Object.values(by_set);
const prompts_per_second = rates.length / rates.reduce((sum, rate) => sum + 1 / rate, 0);
const times = speedSet.map((prompt) => {
  const t = performance.now();
  matcher.hasMatch(prompt);
  return performance.now() - t;
}).sort((a, b) => a - b);
const marks = {};
for (const [name, prompts] of Object.entries(sets)) {
  const end = cpu() + budget;
  marks[name] = [];
  for (const prompt of prompts) {
    marks[name].push(matcher.hasMatch(prompt) ? 1 : 0);
    if (marks[name].length % 64 === 0 && cpu() > end) break;
  }
}
console.log(JSON.stringify({ start_s, start_wall_s, prompts_per_second, by_set, rss_mb: loaded, marks,
  p50_ms: times[Math.floor(times.length / 2)], p99_ms: times[Math.floor(times.length * 0.99)] }));
