# The machine of the stories, with GRUB on BIOS.
{ lib }:
{
  boot.loader.systemd-boot.enable = lib.mkForce false;
  boot.loader.efi.canTouchEfiVariables = lib.mkForce false;
  boot.loader.grub.enable = lib.mkForce true;
  virtualisation.useEFIBoot = lib.mkForce false;
}
