"""The wire formats of model APIs: what of a request is masked, and how a reply is restored and recorded."""
