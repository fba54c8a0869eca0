"""Smart-pole firmware. Map, glossary and decisions: firmware/README.md. Threats: firmware/THREATS.md."""
