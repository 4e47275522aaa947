"""Adapters: one class per engine, one engine per file. Each knows its engine and no one else."""
