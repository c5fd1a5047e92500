"""A provider simulator: OpenAI's and Anthropic's wire formats, prices, prompt caches, and a bill, without a model."""
