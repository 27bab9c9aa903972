# A machine that was installed as an owner installs one: an ESP, systemd-boot, generations that are its specialisations.
{ lib, pkgs, ... }:

let
  # What takes the machine down when it fails, as an owner's own service may.
  failing = {
    wantedBy = [ "multi-user.target" ];
    before = [ "multi-user.target" ];
    unitConfig.FailureAction = "reboot";
    serviceConfig = { Type = "oneshot"; ExecStart = "${pkgs.coreutils}/bin/false"; };
  };
in
{
  imports = [ ../../nixos/module.nix ];

  services.golden-generation.enable = true;

  boot.loader.systemd-boot.enable = true;
  boot.loader.efi.canTouchEfiVariables = true;
  boot.loader.timeout = 0;
  boot.kernelParams = [ "panic=1" "boot.panic_on_fail" ];

  virtualisation = {
    useBootLoader = true;
    useEFIBoot = true;
    diskSize = 4096;
    memorySize = 1536;
  };
  system.switch.enable = true;
  environment.systemPackages = [ pkgs.jq pkgs.nixos-rebuild ];

  # Each is a system of its own; the stories deploy them by name.
  specialisation = {
    good.configuration.environment.etc.generation.text = "good";
    better.configuration.environment.etc.generation.text = "better";
    broken-unit.configuration = {
      environment.etc.generation.text = "broken-unit";
      systemd.services.required = failing;
    };
    panic.configuration = {
      environment.etc.generation.text = "panic";
      # The initrd is not used, and the kernel finds no root.
      boot.kernelParams = [ "rdinit=/nowhere" ];
    };
    slow.configuration = {
      environment.etc.generation.text = "slow";
      systemd.services.slow = {
        requiredBy = [ "boot-complete.target" ];
        before = [ "boot-complete.target" ];
        serviceConfig = {
          Type = "oneshot";
          TimeoutStartSec = "infinity";
          ExecStart = "${pkgs.bash}/bin/bash -c 'until [ -e /run/go-on ]; do ${pkgs.coreutils}/bin/sleep 1; done'";
        };
      };
    };
  };
  environment.etc.generation.text = lib.mkDefault "first";
}
