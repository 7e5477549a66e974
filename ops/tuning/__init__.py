"""Choose on validation how classifiers train: augmentation, input and length, once and for all arms alike."""
