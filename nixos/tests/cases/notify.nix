{
  boot.loader.systemd-boot.enable = true;
  services.golden-generation = {
    enable = true;
    stateDir = "/persist/golden-generation";
    notify.phone = {
      kind = "ntfy";
      url = "https://ntfy.sh/web1";
      tokenFile = "/run/secrets/ntfy";
      timeoutSecs = 10;
    };
    notify.hook = {
      kind = "webhook";
      urlFile = "/run/secrets/hook";
      hmacFile = "/run/secrets/key";
      events = [ "rolled-back" "safe-mode" ];
      text = ''
        {{ text }}
        see "docs\wiki"
      '';
    };
  };
}
