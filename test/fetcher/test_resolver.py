"""Names: answers that change, servers that are silent.  In namespaces of its own."""
from tap import test
