"""Key performance indicators from an organisation's own systems: every night, exactly, and explained."""
