"""From what a personnel department exports to Persons and OrgNodes: pure rules, each of them tested."""
