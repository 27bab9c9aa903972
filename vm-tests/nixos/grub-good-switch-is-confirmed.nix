{ lib, ... }:
{
  timeoutSecs = 900;
  machine = import ./grub.nix { inherit lib; };
  script = ''
    begin()
    assert deploy("good")[0] == 0
    assert status()["default"] == toplevel("first"), "the default moves before the trial has passed"
    assert "next_entry=" in machine.succeed("head -c 512 /boot/grub/grubenv")
    reboot()
    arrive("good")
    assert status()["state"] == "ok" and status()["default"] == toplevel("good"), status()
    assert "next_entry=NixOS" not in machine.succeed("head -c 512 /boot/grub/grubenv"), "GRUB takes it back"
    # What is switched back to is known, and boots at once.
    assert deploy("first")[0] == 0
    assert status()["default"] == toplevel("first"), status()
    reboot()
    arrive("first")
  '';
}
