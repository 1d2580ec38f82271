"""worker: main module of each process that a build spawns; ends it with the build,
and lets it import what the build may.

`multiprocessing` imports the parent's main module into each worker, as `__mp_main__`.
"""

from lmspec.run import installed, lifetime

if __name__ == "__mp_main__":
    lifetime.watch_parent()
    installed.limit_worker()
