{
  boot.loader.systemd-boot.enable = true;
  services.golden-generation = {
    enable = true;
    notify.mail = { kind = "mail"; to = [ "root@example.org" ]; sendmail = "/run/wrappers/bin/sendmail"; };
  };
}
