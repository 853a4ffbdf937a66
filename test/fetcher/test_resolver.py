"""Names and redirects from public to private, with a network and a name server of their own."""
import os
import shutil
import subprocess
import sys

from tap import Skip, test


def inside(function):
    """Runs a function of public_network.py in namespaces of its own."""
    unshare = ["unshare", "--net", "--mount"] + ([] if os.geteuid() == 0 else ["--map-root-user"])
    if shutil.which("unshare") is None or subprocess.run([*unshare, "true"], stderr=subprocess.DEVNULL).returncode != 0:
        raise Skip("needs root or user namespaces")
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "public_network.py")
    done = subprocess.run([*unshare, sys.executable, script, function], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


@test
def public():
    """A public address is reached without the flag, by number and by name"""
    inside("public")


@test
def redirect_to_private():
    """A redirect from there to an address that may not be reached is refused"""
    inside("redirect_to_private")


@test
def answers_that_change():
    """A name that is public first and private then leads nowhere private"""
    inside("answers_that_change")


@test
def several_addresses():
    """Of several addresses of a name only the public are tried"""
    inside("several_addresses")


@test
def silent_server():
    """A name server that is silent holds up nobody else, and no longer than is allowed"""
    inside("silent_server")


@test
def new_name_server():
    """When the resolver's files are others, the fetcher makes room for a new one"""
    inside("new_name_server")
