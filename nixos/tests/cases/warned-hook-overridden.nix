{ lib, ... }:
{
  boot.loader.systemd-boot.enable = true;
  boot.loader.systemd-boot.extraInstallCommands = lib.mkForce "echo mine\n";
  services.golden-generation.enable = true;
}
