"""One child process does all torch work; parent and child speak JSON lines."""
