"""What qmail-send has logged, analysed: matchup, the reports that read its lines, and a store of them that grows."""
