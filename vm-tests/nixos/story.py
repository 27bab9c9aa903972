# What every story is told with.
import json
import time

STATE = "/var/lib/golden-generation"


def toplevel(name):
    """The store path of a generation of this machine."""
    root = "/nix/var/nix/profiles/system-1-link"
    path = root if name == "first" else f"{root}/specialisation/{name}"
    return machine.succeed(f"readlink -f {path}").strip()


def deploy(name, action="boot"):
    """As every deployer does: the profile, then the generation's own switch-to-configuration."""
    path = toplevel(name)
    machine.succeed(f"nix-env --profile /nix/var/nix/profiles/system --set {path}")
    return machine.execute(f"{path}/bin/switch-to-configuration {action} 2>&1")


def reboot():
    machine.execute("systemctl --no-block reboot", check_return=False)
    machine.connected = False


def arrive(name, confirmed=True, timeout=600):
    """Wait until the machine runs a generation, whatever it boots on the way."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            machine.connected = False
            machine.connect()
            if confirmed:
                machine.wait_for_unit("golden-confirm.service", timeout=120)
            if machine.succeed("cat /etc/generation").strip() == name:
                return
        except Exception as error:  # it went down while it was asked
            machine.log(f"not yet: {error}")
        time.sleep(1)
    raise Exception(f"the machine did not arrive on {name}")


def ledger():
    return json.loads(machine.succeed(f"cat {STATE}/ledger.json"))


def history():
    text = machine.succeed("golden history --json")
    return [json.loads(line)["event"] for line in text.splitlines()]


def status():
    return json.loads(machine.succeed("golden status --json"))


def begin():
    """A machine on which the first generation is up, confirmed and golden."""
    machine.start(allow_reboot=True)
    arrive("first")
    machine.succeed("pin-golden")
    assert status()["golden"] == toplevel("first"), status()


