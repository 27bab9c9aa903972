{
  boot.loader.systemd-boot.enable = true;
  services.golden-generation = {
    enable = true;
    notify."my phone" = { kind = "ntfy"; url = "https://ntfy.sh/web1"; token = "tk_1"; };
    notify.hook = { kind = "webhook"; urlFile = ./secret; };
    notify.other = { kind = "webhook"; urlFile = "/nix/store/aaaa-secret"; };
  };
}
