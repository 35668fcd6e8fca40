"""The documentation's links lead somewhere."""

from tests.support.doclinks import broken_links


def test_no_broken_links() -> None:
    assert broken_links() == []
