# What an owner runs there comes before the mark.
{
  boot.loader.systemd-boot.enable = true;
  boot.loader.systemd-boot.extraInstallCommands = "echo mine\n";
  services.golden-generation.enable = true;
}
