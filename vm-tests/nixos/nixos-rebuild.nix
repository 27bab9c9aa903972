{ pkgs, ... }:
let
  # What an owner has in /etc/nixos; `nixos-rebuild` evaluates and builds it in the machine.
  configuration = pkgs.writeText "configuration.nix" ''
    { lib, ... }: {
      imports = [
        ./hardware-configuration.nix
        <nixpkgs/nixos/modules/testing/test-instrumentation.nix>
        ${../..}/nixos/module.nix
      ];
      boot.loader.systemd-boot.enable = true;
      boot.loader.efi.canTouchEfiVariables = true;
      boot.loader.timeout = lib.mkForce 0;
      services.golden-generation.enable = true;
      services.golden-generation.package = builtins.storePath ${pkgs.callPackage ../../nixos/package.nix { }};
      environment.etc.generation.text = "rebuilt";
      documentation.enable = false;
    }
  '';
in
{
  timeoutSecs = 1800;
  machine = { lib, modulesPath, ... }: {
    imports = [
      "${modulesPath}/profiles/base.nix"
      "${modulesPath}/profiles/installation-device.nix"
    ];
    # Without a network everything that the build needs must be there.
    nix.settings = { substituters = lib.mkForce [ ]; hashed-mirrors = null; connect-timeout = 1; };
    system.includeBuildDependencies = true;
    virtualisation = { cores = 2; memorySize = lib.mkForce 4096; };
  };
  script = ''
    begin()
    machine.succeed("nixos-generate-config")
    machine.copy_from_host("${configuration}", "/etc/nixos/configuration.nix")

    machine.succeed("nixos-rebuild boot")
    trial = ledger()["trial"]["toplevel"]
    assert trial == machine.succeed("readlink -f /nix/var/nix/profiles/system").strip(), ledger()
    assert status()["default"] == toplevel("first"), status()
    reboot()
    arrive("rebuilt")
    assert status()["default"] == trial, status()

    # Back to a generation that is known: no trial, and the default at once.
    machine.succeed("nixos-rebuild boot --rollback")
    assert ledger()["trial"] is None, ledger()
    assert status()["default"] == toplevel("first"), status()
    reboot()
    arrive("first")

    # A switch marks too, and confirms nothing that was not booted.
    machine.succeed("sed -i s/rebuilt/switched/ /etc/nixos/configuration.nix")
    machine.succeed("nixos-rebuild switch")
    assert ledger()["trial"]["attempts"] == [], ledger()
    reboot()
    arrive("switched")
  '';
}
