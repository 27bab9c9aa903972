# The root is a tmpfs, the state is kept.
{
  boot.loader.systemd-boot.enable = true;
  fileSystems."/" = { mountPoint = "/"; fsType = "tmpfs"; };
  fileSystems."/persist" = { mountPoint = "/persist"; fsType = "btrfs"; };
  services.golden-generation = {
    enable = true;
    stateDir = "/persist/golden-generation";
    notify.phone = { kind = "ntfy"; url = "https://ntfy.sh/my-hosts"; };
    serve.enable = true;
  };
}
