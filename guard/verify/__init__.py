"""What is this suspect picture?"""
