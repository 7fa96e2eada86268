"""What a suspect picture is: evidence, verdict, explanation."""
