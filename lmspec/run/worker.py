"""worker: main module of each process that a build spawns; ends it with the build.

`multiprocessing` imports the parent's main module into each worker, as `__mp_main__`.
"""

from lmspec.run import lifetime

if __name__ == "__mp_main__":
    lifetime.watch_parent()
