//! What sessions do, case by case.
