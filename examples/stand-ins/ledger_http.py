"""The example's ledger as it would stand in a company's network: the same MCP server, reached by HTTP."""

import os
import sys
from pathlib import Path

import uvicorn
from mcp.server.transport_security import TransportSecuritySettings

sys.path.insert(0, str(Path(__file__).parents[1] / "01-acme"))
from ledger import Ledger, create_server

host = os.environ["LEDGER_HOST"]
server = create_server(Ledger(Path(os.environ["LEDGER_FILE"]), 0))
open_to_services = TransportSecuritySettings(enable_dns_rebinding_protection=False)
app = server.streamable_http_app(host=host, transport_security=open_to_services)
uvicorn.run(app, host=host, port=8081, log_level="info")
