"""The leaderboard: one static folder, rendered from result files alone."""
