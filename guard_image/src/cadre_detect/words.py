"""Word lists that keep ordinary words from being taken for names."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


ORDINARY_WORDS = _words("""
    abbey amber angel april art ash august autumn barb basil bay bea berry bill bishop bliss blossom blue bob
    booker brand brandy brook buck bud buddy burl candy carol cash chance chase chastity cherry chip chris
    christian christmas clay clement clover coral cricket crystal daily daisy dale dan dawn dean deacon deb
    dee delta destiny diamond dick dollar don dot drew duke dusty earl earnest easter ebony eden ernest evan
    fair faith fay fern flora forest frank gale garland gay gene general gill ginger glen golden grace grant
    green guy harmony harvest haven hazel heath heather henry holly honey hope hunter hyacinth ian iris isle
    ivory ivy jack jade jan january jasmine jay jean jewel joy judge july june junior justice kim king
    lake lance lane lark laurel lavender leaf lee len levy liberty lily lord lou love lucky mac madge maggie
    major may mars marina mark marsh mason maverick max may melody mercedes mercy merry mike miles mina
    miracle missy misty modesty monday opal page pansy paris park pat patience patient pearl peg penny
    pepper perry pierce piper polo poppy porter precious price prince princess queen rain randy raven ray
    red reed regal rich river rob robin rocky rod roman rose rosemary royal ruby rusty sage sally sandy
    santa scarlet season see september serene serenity shade shad shelby sherry sierra silver sky slim sole
    son spring star sterling stone storm sue sugar summer sun sunday sunny sunshine tad tawny temple tiger
    tim tiny tone tony trinity true tuesday tulip ty una unity van victor victory vince viola violet virgin
    wade wallace ward water wave way wednesday west will willow win winter wood woody world wren yan young
    zen
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
