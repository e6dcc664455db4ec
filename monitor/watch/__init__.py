"""The scheduler over sealed panes: fold, seal, judge, decide."""
