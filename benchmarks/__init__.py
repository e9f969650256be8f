"""Measurements that a command shows again."""
