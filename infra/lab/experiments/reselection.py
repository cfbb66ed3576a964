"""Experiment: does it pay to select prompts again and again, instead of once before training?"""
