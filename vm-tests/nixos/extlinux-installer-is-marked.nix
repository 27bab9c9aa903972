# QEMU has no U-Boot here: what its installer and the mark leave is proved, and not what U-Boot does with it.
{ lib, ... }:
{
  timeoutSecs = 600;
  machine = {
    boot.loader.systemd-boot.enable = lib.mkForce false;
    boot.loader.efi.canTouchEfiVariables = lib.mkForce false;
    boot.loader.grub.enable = lib.mkForce false;
    boot.loader.generic-extlinux-compatible.enable = true;
    virtualisation.useBootLoader = lib.mkForce false;
    virtualisation.useEFIBoot = lib.mkForce false;
  };
  script = ''
    def install(path):
        machine.succeed(f"nix-env --profile /nix/var/nix/profiles/system --set {path}")
        machine.succeed(f"{path}/bin/switch-to-configuration boot")

    machine.start()
    machine.wait_for_unit("golden-confirm.service")
    first = machine.succeed("readlink -f /run/booted-system").strip()
    good = machine.succeed("readlink -f /run/booted-system/specialisation/good").strip()
    install(first)
    machine.succeed("pin-golden")
    install(good)
    assert ledger()["trial"]["toplevel"] == good, ledger()
    conf = machine.succeed("cat /boot/extlinux/extlinux.conf")
    assert "\nLABEL golden\n" in conf and f"init={first}/init" in conf.split("LABEL golden")[1], conf
    kernel = conf.split("LABEL golden")[1].split("LINUX ")[1].split()[0]
    machine.succeed(f"cmp {first}/kernel /boot/extlinux/{kernel}")
    label = conf.split("\nDEFAULT ")[1].split("\n")[0].strip()
    assert f"init={good}/init" in conf.split(f"\nLABEL {label}\n")[1].split("LABEL ")[0], conf
    # What is known is no trial, and stays what its installer made the default.
    install(first)
    assert ledger()["trial"] is None, ledger()
    assert "\nDEFAULT nixos-default\n" in machine.succeed("cat /boot/extlinux/extlinux.conf")
  '';
}
