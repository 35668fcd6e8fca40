"""A model server that plays a written scenario, so that demos and tests need no model and no network.

It speaks the wire formats of OpenAI, Anthropic and Ollama, answers by rules from a YAML file, misbehaves on
request, and records every request it receives: the record is the proof of what a guard let out.
It says in every answer that it is scripted; nothing here pretends to be a model.
"""
