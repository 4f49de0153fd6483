"""The journal: every intent and outcome, durable before the next step is taken."""
