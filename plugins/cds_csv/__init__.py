"""Laboratory values and reports from CSV and XLSX files, joined to a study by identity and time."""
