"""The tamper-evident record: what is hashed, how links chain, how a checkpoint proves a stretch of them."""

from cadre_core.audit.chain import (
    DOMAIN,
    GENESIS,
    SealedRecord,
    commitment,
    link_hash,
    merkle_root,
    seal,
)
from cadre_core.audit.record import AuditActor, AuditRecord
from cadre_core.audit.verify import Checkpoint, VerifyReport, verify_chain, verify_checkpoint

__all__ = [
    "DOMAIN",
    "GENESIS",
    "AuditActor",
    "AuditRecord",
    "Checkpoint",
    "SealedRecord",
    "VerifyReport",
    "commitment",
    "link_hash",
    "merkle_root",
    "seal",
    "verify_chain",
    "verify_checkpoint",
]
