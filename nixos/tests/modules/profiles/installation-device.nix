# Stands for the profile of that name in nixpkgs.
{ }
