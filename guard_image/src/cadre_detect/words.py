"""Word lists that keep ordinary words from being taken for names."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ORDINARY_WORDS = _words("""
    abbey amber angel april art ash august autumn barb basil bay bea berry bill bishop bliss blossom blue
    bob booker brand buck bud burl cash chance chase chastity cherry chip christian christmas clay clover
    coral cricket crystal daily daisy dale dawn deacon dean delta destiny diamond dollar dot drew duke dusty
    earl easter ebony eden fair faith fay fern flora forest frank gay gene general gill ginger golden grace
    grant green guy harmony harvest haven hazel heath honey hope hunter hyacinth iris isle ivory ivy jack
    january jewel joy judge july june junior justice king lake lance lane lark laurel lavender leaf liberty
    lily lord love lucky major mark mars marsh mason maverick max may mercedes mercy merry miles miracle
    misty modesty monday opal page pansy paris park pat patience patient pearl peg penny pepper pierce piper
    polo poppy porter precious price prince princess queen rain raven ray red reed regal rich river rob
    rocky rod rose royal rusty sandy santa season see september serene serenity shad shade silver sky slim
    sole son spring star sterling stone storm sue sugar summer sun sunday sunny sunshine tawny temple tiger
    tiny tone true tuesday tulip unity van victor victory violet virgin wade wallace ward water wave way
    wednesday west will willow win winter wood woody world zen
""")
"""Given names that begin ordinary sentences: not looked for alone."""

PARTICLES = _words("""
    al bin da de del den der di dr el ibn la le mr mrs ms prof van von zu zur
""")
"""Parts of a name that name nobody."""

NOT_NAMES = _words("""
    agent bot labor labour ai api args assistant bash boolean budget cadre card cli cloud code context crm
    css csv current data date dear debug default dict docker email error eur exception false git github
    goose gpt hello hi html http https iban id info int java javascript json kubernetes latex linux list llm
    log markdown mcp model name none null ok ollama openai optional pdf phone postgres python readme regards
    response rest role rust sql str string subject system task thanks todo token tool traceback true turn
    typescript ui url user utf uuid visa warn warning xml yaml yes zip tel fax mobile mail best kind cheers
    acting admin user system
""")
"""What a small model takes for people and places in prompts, code and logs."""
