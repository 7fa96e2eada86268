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
const speedSet = sets.speed;
delete sets.speed;
let count = 0;
const from = cpu();
for (const prompt of speedSet) {
  matcher.hasMatch(prompt);
  if (++count % 64 === 0 && cpu() - from > budget) break;
}
const prompts_per_second = count / Math.max(1e-9, cpu() - from);
const times = speedSet.slice(0, 300).map((prompt) => {
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
console.log(JSON.stringify({ start_s, start_wall_s, prompts_per_second, rss_mb: loaded, marks,
  p50_ms: times[Math.floor(times.length / 2)], p99_ms: times[Math.floor(times.length * 0.99)] }));
