# What an owner chose goes first, and the last word on the kernel's command line counts.
{
  boot.loader.systemd-boot.enable = true;
  services.golden-generation.enable = true;
  boot.kernelParams = [ "panic=60" ];
  systemd.settings.Manager.RuntimeWatchdogSec = "2min";
}
