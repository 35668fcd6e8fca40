"""The example's ledger as it would stand in a company's network: the same MCP server, reached by HTTP."""

import sys
from pathlib import Path

import uvicorn
from mcp.server.transport_security import TransportSecuritySettings

sys.path.insert(0, "/opt/examples/01-acme")
from ledger import Ledger, create_server

server = create_server(Ledger(Path("/tmp/ledger.db"), 0))
open_to_services = TransportSecuritySettings(enable_dns_rebinding_protection=False)
app = server.streamable_http_app(host="0.0.0.0", transport_security=open_to_services)
uvicorn.run(app, host="0.0.0.0", port=8081, log_level="info")
