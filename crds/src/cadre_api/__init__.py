"""The words of Cadre's API: typed resources, conditions, data classes and the CRDs generated from them."""
