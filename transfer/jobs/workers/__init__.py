"""Worker processes of jobs: how they are started and spoken to, and the memory they share with the agent.

What they do is the business of the jobs: copy packs files in them, export fetches objects, restore writes
files.
"""
