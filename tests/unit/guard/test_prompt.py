"""What the agent is told."""

from datetime import UTC, datetime

from cadre_api.protocol.guard import AgentBundle, Lease, ShardView
from cadre_detect.tokens import find_tokens
from cadre_guard.turn.prompt import masked_texts, prompt_text, system_text

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _lease() -> Lease:
    return Lease(
        task_id="t", session_id="s", fence=1, attempt=1, prompt="Do it", expires_at=NOW, deadline_at=NOW,
        context={"project": "Falcon"},
        shards=(ShardView(id="1", author="a/b", data_class="PII", text="Before"),),
    )  # fmt: skip


def test_the_prompt_carries_shards_and_context_before_the_task() -> None:
    text = prompt_text(_lease())

    assert text.index("Before") < text.index("Falcon") < text.index("Do it")
    assert set(masked_texts(_lease())) == {"Do it", "Falcon", "Before"}


def test_the_system_text_has_the_profile_and_the_rule_about_tokens_without_one_in_it() -> None:
    bundle = AgentBundle(
        agent="a/b", tenant="a", generation=1, digest="d", issued_at=NOW, expires_at=NOW, node_path=(),
        title="Writer", instructions="Be brief.", hints=("Cite sources.",),
    )  # fmt: skip

    text = system_text(bundle)

    assert all(part in text for part in ("Writer", "Be brief.", "Cite sources.", "letter by letter"))
    assert find_tokens(text) == []
