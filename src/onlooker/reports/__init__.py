"""What people take away: exports in the formats of other tools, the HTML report, and pictures of the timeline."""
