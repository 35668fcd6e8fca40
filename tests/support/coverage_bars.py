"""The coverage bars: 95 % of the pure core, 90 % overall. Combines what every process of the run measured."""

import io
import sys

from coverage import Coverage

BARS = {"cadre_core": 95.0, "": 90.0}


def main() -> int:
    """Print the total of each bar; exit 1 below one of them."""
    cov = Coverage()
    cov.combine()
    cov.save()
    failed = False
    for package, bar in BARS.items():
        out = io.StringIO()
        total = cov.report(
            file=out, include=[f"*/{package}/*"] if package else None, skip_covered=True, sort="miss"
        )
        if not package or total < bar:
            print(out.getvalue())
        print(f"coverage of {package or 'everything'}: {total:.1f} % (bar {bar:.0f} %)")
        failed |= total < bar
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
