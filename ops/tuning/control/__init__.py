"""The controller: how strongly to augment, and how much generated images weigh, chosen for an arm by races."""
