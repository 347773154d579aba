"""What the page does when a visitor acts: one file per part of the page."""
