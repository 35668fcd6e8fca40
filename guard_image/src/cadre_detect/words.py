"""Word lists that keep ordinary words from being taken for names."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ORDINARY_WORDS = _words("""
    april art august bill chase chip christian dawn dean drew duke earl faith forest frank gene
    general grace grant guy hope hunter jack january joy june king lance major mark max may miles
    page paris pat penny pierce ray rich rob rod rose rusty sandy sky stone sue summer victor wade
    will young
""")
"""Given names that begin ordinary sentences: not looked for alone."""

PARTICLES = _words("""
    al bin da de del den der di dr el ibn la le mr mrs ms prof van von zu zur
""")
"""Parts of a name that name nobody."""

NOT_NAMES = _words("""
    agent ai api args assistant bash boolean budget cadre card cli cloud code context crm css csv
    current data date dear debug default dict docker email error eur exception false git github
    goose gpt hello hi html http https iban id info int java javascript json kubernetes latex linux
    list llm log markdown mcp model name none null ok ollama openai optional pdf phone postgres
    python readme regards response rest role rust sql str string subject system task thanks todo
    token tool traceback true turn typescript ui url user utf uuid visa warn warning xml yaml yes
    zip tel fax mobile mail best kind cheers acting admin user system
""")
"""What a small model takes for people and places in prompts, code and logs."""
