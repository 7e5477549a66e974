"""What generators share that learn against a critic: turns of the two, what the critic sees, directory and export."""
