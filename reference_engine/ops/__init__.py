"""Operations: one declarative row each, in one file per family."""
